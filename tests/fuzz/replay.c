/*
 * Replays a fuzz target's committed inputs, so that `make check` sees old finds again without
 * clang.
 *
 *     fuzz_NAME.replay               every file of $HF_SRCDIR/tests/fuzz/corpus/NAME
 *     fuzz_NAME.replay FILE...       these files, e.g. what `make fuzz` found
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
replay(const char *path)
{
	FILE *f = fopen(path, "rbe");
	uint8_t *data = NULL;
	long size = -1;

	if (f != NULL && fseek(f, 0, SEEK_END) == 0) {
		size = ftell(f);
	}
	if (size >= 0 && fseek(f, 0, SEEK_SET) == 0) {
		/* exactly as big as the input, so that a sanitizer sees one byte too many */
		data = malloc(size > 0 ? (size_t)size : 1);
	}
	if (data == NULL || fread(data, 1, (size_t)size, f) != (size_t)size) {
		(void)fprintf(stderr, "cannot read %s: %s\n", path, strerror(errno));
		free(data);
		if (f != NULL) {
			(void)fclose(f);
		}
		return 1;
	}
	(void)fclose(f);
	/* said before, so that a crash names its input */
	(void)printf("%s: %ld bytes\n", path, size);
	(void)fflush(stdout);
	(void)LLVMFuzzerTestOneInput(data, (size_t)size);
	free(data);
	return 0;
}

static int
replay_folder(const char *folder)
{
	struct dirent **names = NULL;
	int count = scandir(folder, &names, NULL, alphasort), done = 0, failed = 0;

	for (int i = 0; i < count; i++) {
		char *path = NULL;

		if (names[i]->d_name[0] != '.') {
			failed += asprintf(&path, "%s/%s", folder, names[i]->d_name) == -1 ||
				  replay(path);
			done++;
		}
		free(path);
		free(names[i]);
	}
	free(names);
	(void)printf("%d inputs\n", done);
	if (done == 0) {
		(void)fprintf(stderr, "%s holds no input\n", folder);
	}
	return failed > 0 || done == 0;
}

int
main(int argc, char **argv)
{
	const char *base = strrchr(argv[0], '/'), *root = getenv("HF_SRCDIR");
	int len = 0, failed = 0;
	char folder[4096];

	for (int i = 1; i < argc; i++) {
		failed |= replay(argv[i]);
	}
	if (argc > 1) {
		return failed;
	}
	base = base != NULL ? base + 1 : argv[0];
	if (strncmp(base, "fuzz_", 5) == 0) {
		base += 5;
		len = (int)strcspn(base, ".");
	}
	(void)snprintf(folder, sizeof(folder), "%s/tests/fuzz/corpus/%.*s",
	    root != NULL ? root : ".", len, base);
	return replay_folder(folder);
}
