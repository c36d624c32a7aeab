/* A disk that is full from the n-th write on: loaded before libc, inert until fail_writes is called. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static long left = -1, count = 0;
static char folder[4096];

void fail_writes(long after, const char *below) {
    strncpy(folder, below, sizeof folder - 1);
    left = after;
    count = 0;
}

long writes(void) { return count; }

static int full(int fd) {
    char name[64], path[4096];
    if (left < 0) return 0;
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(name, path, sizeof path - 1);
    if (n < 0) return 0;
    path[n] = 0;
    if (strncmp(path, folder, strlen(folder))) return 0;
    return ++count > left;
}

#define REAL(name, type) static type real; if (!real) real = (type)dlsym(RTLD_NEXT, name)
#define FULL(fd) if (full(fd)) { errno = ENOSPC; return -1; }

typedef ssize_t (*write_t)(int, const void *, size_t);
typedef ssize_t (*pwrite_t)(int, const void *, size_t, off_t);
typedef int (*truncate_t)(int, off_t);
typedef int (*sync_t)(int);
typedef int (*allocate_t)(int, off_t, off_t);

ssize_t write(int fd, const void *data, size_t n) { REAL("write", write_t); FULL(fd); return real(fd, data, n); }
ssize_t pwrite(int fd, const void *d, size_t n, off_t at) { REAL("pwrite", pwrite_t); FULL(fd); return real(fd, d, n, at); }
ssize_t pwrite64(int fd, const void *d, size_t n, off_t at) { REAL("pwrite64", pwrite_t); FULL(fd); return real(fd, d, n, at); }
int ftruncate64(int fd, off_t n) { REAL("ftruncate64", truncate_t); FULL(fd); return real(fd, n); }
int posix_fallocate64(int fd, off_t a, off_t n) { REAL("posix_fallocate64", allocate_t); if (full(fd)) return ENOSPC; return real(fd, a, n); }
int fsync(int fd) { REAL("fsync", sync_t); FULL(fd); return real(fd); }
int fdatasync(int fd) { REAL("fdatasync", sync_t); FULL(fd); return real(fd); }
