# Unit tests of src/backend
