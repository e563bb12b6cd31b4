# Unit tests of src/cli
