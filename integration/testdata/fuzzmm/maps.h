// Reading /proc/self/maps without changing it.
//
// Inode numbers of memfds and of shared memory, and identifiers, differ from run to run. A file is
// therefore printed as #N, N being the order in which device, inode and path first appeared: two
// mappings of one file show the same number, mappings of two files different ones.
#pragma once
#include "base.h"

static u64 fnv(u64 h, const char *s, size_t n)
{
	while (n--)
		h = (h ^ (unsigned char)*s++) * 0x100000001b3;
	return h;
}

static u64 parseHex(const char **s)
{
	u64 v = 0;
	for (;; (*s)++) {
		char c = **s;
		if (c >= '0' && c <= '9')
			v = v << 4 | (c - '0');
		else if (c >= 'a' && c <= 'f')
			v = v << 4 | (c - 'a' + 10);
		else
			return v;
	}
}

// number returns the N of a file.
static int number(struct ctx *c, u64 hash)
{
	int i;
	for (i = 0; i < c->ids; i++)
		if (c->id[i].hash == hash)
			return i;
	if (i == IDS)
		return -1;
	c->id[i].hash = hash;
	return c->ids++;
}

struct line {
	u64 start, end;
	const char *text, *perms, *offset, *dev, *inode, *path, *eol;
};

static const char *word(const char *s)
{
	while (*s != ' ' && *s != '\n')
		s++;
	while (*s == ' ')
		s++;
	return s;
}

static struct line parseLine(const char *s, const char *eol)
{
	struct line l = {.text = s, .eol = eol};
	l.start = parseHex(&s);
	s++;
	l.end = parseHex(&s);
	l.perms = word(s);
	l.offset = word(l.perms);
	l.dev = word(l.offset);
	l.inode = word(l.dev);
	l.path = word(l.inode);
	return l;
}

// eachLine calls f for each line of a file of /proc/self.
static void eachLine(struct ctx *c, const char *file, void (*f)(struct ctx *, const struct line *, void *), void *arg)
{
	int fd = CALL(SYS_open, file, O_RDONLY);
	size_t have = 0;
	long n;
	while ((n = CALL(SYS_read, fd, c->text + have, sizeof c->text - have)) > 0) {
		have += n;
		char *s = c->text, *nl;
		while ((nl = memchr(s, '\n', have - (s - c->text)))) {
			struct line l = parseLine(s, nl);
			f(c, &l, arg);
			s = nl + 1;
		}
		have -= s - c->text;
		memmove(c->text, s, have);
	}
	if (n < 0)
		str(c->out, "(maps cannot be read)");
	CALL(SYS_close, fd);
}

struct list {
	u64 hash;
	int print;
};

static void hashLine(struct ctx *c, const struct line *l, void *arg)
{
	struct list *a = arg;
	if (c->hi && (l->end <= c->lo || l->start >= c->hi))
		return;
	int n = -2;
	if (l->inode[0] != '0')
		n = number(c, fnv(fnv(1, l->path, l->eol - l->path), l->dev, l->path - l->dev));
	a->hash = fnv(a->hash, l->text, l->dev - l->text);
	a->hash = fnv(a->hash, l->path, l->eol - l->path) + n;
	if (!a->print)
		return;
	str(c->out, "    ");
	put(c->out, l->text, l->dev - l->text);
	if (n != -2)
		str(c->out, "#"), dec(c->out, n), str(c->out, " ");
	put(c->out, l->path, l->eol - l->path + 1);
}

// endLine prints the hash of the mappings behind the outcome of a call, and the mappings.
static void endLine(struct ctx *c)
{
	struct list a = {.hash = 0xcbf29ce484222325};
	eachLine(c, "/proc/self/maps", hashLine, &a);
	if (a.hash == c->last) {
		str(c->out, " same\n");
		return;
	}
	c->last = a.hash;
	str(c->out, " ");
	hex(c->out, a.hash);
	str(c->out, "\n");
	if (c->at >= S.from && !c->out->keeps) {
		a.print = 1;
		eachLine(c, "/proc/self/maps", hashLine, &a);
	}
}

// flags of all VMAs, and what the kernel counts.
static void hashFlags(struct ctx *c, const struct line *l, void *arg)
{
	if (!strncmp(l->text, "VmFlags:", 8))
		*(u64 *)arg = fnv(*(u64 *)arg, l->text, l->eol - l->text);
}
static void printCount(struct ctx *c, const struct line *l, void *arg)
{
	for (const char **n = (const char *[]){"VmSize", "VmLck", "VmData", "VmStk", "VmExe", "VmLib", 0}; *n; n++)
		if (!strncmp(l->text, *n, strlen(*n))) {
			str(c->out, " ");
			for (const char *p = l->text; p < l->eol; p++)
				if (*p != ' ' && *p != '\t')
					put(c->out, p, 1);
		}
}
static void printCounts(struct ctx *c)
{
	u64 h = 0xcbf29ce484222325;
	eachLine(c, "/proc/self/smaps", hashFlags, &h);
	dec(c->out, c->at);
	str(c->out, " flags ");
	hex(c->out, h);
	eachLine(c, "/proc/self/status", printCount, NULL);
	str(c->out, "\n");
}

static void findStack(struct ctx *c, const struct line *l, void *arg)
{
	if (l->eol - l->path == 7 && !memcmp(l->path, "[stack]", 7))
		*(u64 *)arg = l->start;
}
static u64 stackLow(struct ctx *c)
{
	u64 low = 0;
	eachLine(c, "/proc/self/maps", findStack, &low);
	return low;
}

static void protectLine(struct ctx *c, const struct line *l, void *arg)
{
	if (l->start > TASK_SIZE || S.prots == 64 || (l->eol - l->path == 6 && !memcmp(l->path, "[heap]", 6)))
		return;
	u64 start = l->start;
	if (l->eol - l->path == 7 && !memcmp(l->path, "[stack]", 7))
		start -= 24 * MB; // it grows
	else if (start > 0x700000000000 && (!S.base || start < S.base))
		S.base = start;
	S.prot[S.prots][0] = start;
	S.prot[S.prots++][1] = l->end;
}

// safe reports whether a call on the range leaves our own memory alone.
static int safe(u64 addr, u64 len)
{
	u64 end = addr + ((len + PAGE - 1) & -PAGE);
	if (end < addr)
		return 1; // nobody accepts that
	for (int i = 0; i < S.prots; i++)
		if (addr < S.prot[i][1] && end > S.prot[i][0])
			return 0;
	return 1;
}
