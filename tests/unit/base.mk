# Unit tests of src/base
