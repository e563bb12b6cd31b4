# Unit tests of src/topo
