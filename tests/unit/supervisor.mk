# Unit tests of src/supervisor
