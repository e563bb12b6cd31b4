# Unit tests of src/proxy
