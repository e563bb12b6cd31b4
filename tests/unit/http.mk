# Unit tests of src/http
