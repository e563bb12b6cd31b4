# Unit tests of src/store
