# Unit tests of src/httpd
