# Unit tests of src/resp
