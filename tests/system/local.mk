# Not part of `make check`: minutes, and root.
EXTRA_DIST += tests/system/conftest.py tests/system/lab.py tests/system/run.sh tests/system/test_compose.py tests/system/test_docker.py tests/system/test_package.py tests/system/test_readme.py

check-system: all
	HOLDFAST_BUILD='$(abs_builddir)' $(SHELL) $(srcdir)/tests/system/run.sh $(SYSTEM_ARGS)
.PHONY: check-system
