# Unit tests of src/ctl
