# Unit tests of src/proc
