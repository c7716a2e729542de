/* A library for LD_PRELOAD: each encoder of libx264 stops without an error after some frames, like a hardware encoder
 * whose driver hangs: it accepts frames, but returns none. */
#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>

#define FRAMES 96

static int frames;

/* libx264 is loaded already, under a name with its version. */
static void *real(const char *symbol) {
    char name[32];
    for (int version = 140; version < 200; version++) {
        snprintf(name, sizeof name, "libx264.so.%d", version);
        void *library = dlopen(name, RTLD_LAZY | RTLD_NOLOAD);
        if (library) return dlsym(library, symbol);
    }
    return NULL;
}

int x264_encoder_encode(void *encoder, void **units, int *count, void *in, void *out) {
    static int (*encode)(void *, void **, int *, void *, void *);
    if (!encode) *(void **)&encode = real("x264_encoder_encode");
    int bytes = encode(encoder, units, count, in, out);
    if (!in || frames++ < FRAMES) return bytes;
    *count = 0;
    return 0;
}

/* The next encoder counts from 0 again. */
void x264_encoder_close(void *encoder) {
    static void (*close)(void *);
    if (!close) *(void **)&close = real("x264_encoder_close");
    frames = 0;
    close(encoder);
}
