#include "instance/module_file.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OWN_PROGRAM "/proc/self/exe"

static const struct {
	uint16_t machine;
	const char *name;
} machines[] = {{EM_X86_64, "x86-64"}, {EM_386, "x86 (32 bits)"}, {EM_AARCH64, "arm64"},
    {EM_ARM, "arm (32 bits)"}, {EM_RISCV, "risc-v"}, {EM_PPC64, "ppc64"}, {EM_S390, "s390x"}};

static const char *
machine_name(uint16_t machine)
{
	for (size_t i = 0; i < ARRAY_LEN(machines); i++) {
		if (machines[i].machine == machine) {
			return machines[i].name;
		}
	}
	return "another processor";
}

/* The bytes that come before all others. False: the file has fewer. */
static bool
read_head(int fd, Elf64_Ehdr *ret_head)
{
	return pread(fd, ret_head, sizeof(*ret_head), 0) == (ssize_t)sizeof(*ret_head);
}

static bool
read_own_head(Elf64_Ehdr *ret_head)
{
	int fd = open(OWN_PROGRAM, O_RDONLY | O_CLOEXEC);
	bool good = fd != -1 && read_head(fd, ret_head);

	if (fd != -1) {
		(void)close(fd);
	}
	return good;
}

/* The last byte that the file's own tables name. */
static uint64_t
end_of_parts(int fd, const Elf64_Ehdr *head)
{
	uint64_t end = head->e_shoff + (uint64_t)head->e_shnum * head->e_shentsize;
	Elf64_Phdr part;

	for (unsigned i = 0; i < head->e_phnum; i++) {
		off_t at = (off_t)(head->e_phoff + (uint64_t)i * head->e_phentsize);

		if (pread(fd, &part, sizeof(part), at) != (ssize_t)sizeof(part)) {
			return UINT64_MAX;
		}
		end = MAX(end, part.p_offset + part.p_filesz);
	}
	return end;
}

static int
check_elf(int fd, uint64_t bytes, const char *path, struct errmsg *err)
{
	Elf64_Ehdr head, own;

	if (!read_head(fd, &head) || memcmp(head.e_ident, ELFMAG, SELFMAG) != 0) {
		errmsg_set(err,
		    "%s is no shared object: it may be a text, an archive or a download that "
		    "failed; "
		    "fetch the module again",
		    path);
		return -ENOEXEC;
	}
	if (read_own_head(&own) &&
	    (head.e_ident[EI_CLASS] != own.e_ident[EI_CLASS] ||
		head.e_ident[EI_DATA] != own.e_ident[EI_DATA] || head.e_machine != own.e_machine)) {
		errmsg_set(err,
		    "%s is built for %s, this host needs %s: install the module's build for it",
		    path, machine_name(head.e_machine), machine_name(own.e_machine));
		return -ENOEXEC;
	}
	if (head.e_type != ET_DYN) {
		errmsg_set(err, "%s is a program or an object file, not a shared object", path);
		return -ENOEXEC;
	}
	if (end_of_parts(fd, &head) > bytes) {
		errmsg_set(err,
		    "%s is cut short: it has %llu bytes and names more; fetch the module again",
		    path, (unsigned long long)bytes);
		return -ENOEXEC;
	}
	return 0;
}

static void
take_print(const struct stat *st, struct module_print *ret_print)
{
	*ret_print = (struct module_print){.device = st->st_dev,
	    .inode = st->st_ino,
	    .bytes = (uint64_t)st->st_size,
	    .changed_ns =
		(uint64_t)st->st_mtim.tv_sec * 1000000000 + (uint64_t)st->st_mtim.tv_nsec};
}

int
module_file_check(const char *path, struct module_print *ret_print, struct errmsg *err)
{
	/* Not to wait for whoever writes into a fifo. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), rc = 0;
	struct stat st;

	if (fd == -1 || fstat(fd, &st) == -1) {
		rc = -errno;
		errmsg_set(err,
		    rc == -ENOENT ? "%s is not there (%s): install the module, or correct the path"
		    : rc == -EACCES ? "%s cannot be read (%s): chmod it, or its folders, for the "
				      "user that runs holdfast"
				    : "%s cannot be read: %s",
		    path, strerror(-rc));
	} else if (!S_ISREG(st.st_mode)) {
		rc = S_ISDIR(st.st_mode) ? -EISDIR : -ENOEXEC;
		errmsg_set(err, "%s is %s: name the module's file", path,
		    S_ISDIR(st.st_mode) ? "a directory" : "no regular file");
	} else {
		rc = check_elf(fd, (uint64_t)st.st_size, path, err);
	}
	/* Redis itself refuses it since 7.0. */
	if (rc == 0 && (st.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)) == 0) {
		rc = -EACCES;
		errmsg_set(err,
		    "%s is not executable, and redis wants that of a module: chmod +x %s", path,
		    path);
	}
	if (rc == 0) {
		take_print(&st, ret_print);
	}
	if (fd != -1) {
		(void)close(fd);
	}
	return rc;
}

bool
module_print_equal(const struct module_print *a, const struct module_print *b)
{
	return a->device == b->device && a->inode == b->inode && a->bytes == b->bytes &&
	       a->changed_ns == b->changed_ns;
}

void
module_print_of(const char *path, struct module_print *ret_print)
{
	struct stat st;

	*ret_print = (struct module_print){.inode = 0};
	if (stat(path, &st) == 0) {
		take_print(&st, ret_print);
	}
}
