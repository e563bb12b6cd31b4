# Unit tests of src/instance
