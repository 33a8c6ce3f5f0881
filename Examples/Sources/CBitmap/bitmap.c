// A decoder for BMP files: 24 bits, 8 bits with a palette, 8 bits run-length encoded, and OS/2's arrays of bitmaps.
//
// Do not use it. It is what crashproof runs in worker processes: it believes what files say about themselves, as decoders
// have done again and again. Each BUG below is of a kind that has had its CVE numbers in real ones.
#include "bitmap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ok, not_a_bitmap, cut_off, empty };
enum { header_size = 14, array_header_size = 14 };

typedef struct input {
  const uint8_t *bytes;
  size_t count;
} input;

static uint32_t number(input in, size_t at, int size) {
  uint32_t value = 0;
  for (int byte = 0; byte < size; byte++) {
    value |= (uint32_t)in.bytes[at + (size_t)byte] << (8 * byte);
  }
  return value;
}

static void *get_memory(size_t size) {
  void *memory = malloc(size);
  if (memory == NULL) {
    fprintf(stderr, "bitmap: out of memory for %zu bytes\n", size);
    // BUG: a library that ends the program.
    exit(3);
  }
  return memory;
}

// Like assert, in every build.
static void require(int holds, const char *text) {
  if (!holds) {
    fprintf(stderr, "bitmap: assertion failed: %s\n", text);
    // BUG: what a file says is not an assertion.
    abort();
  }
}

// Not inlined: the compiler may take what is read to be there, and then the read ends elsewhere.
__attribute__((noinline)) static const uint8_t *find_palette(input in, uint32_t info_size, uint32_t colours) {
  size_t start = header_size + info_size;
  return start + 4 * (size_t)colours <= in.count ? in.bytes + start : NULL;
}

static void read_palette(input in, uint32_t info_size, bitmap *result) {
  result->colours = number(in, header_size + 32, 4);
  if (result->colours == 0) {
    result->colours = 256;
  }
  const uint8_t *palette = find_palette(in, info_size, result->colours);
  result->palette = get_memory(4 * (size_t)result->colours);
  for (size_t byte = 0; byte < 4 * (size_t)result->colours; byte++) {
    // BUG: a null pointer where the palette is not there.
    result->palette[byte] = palette[byte];
  }
}

typedef struct reader {
  input in;
  size_t position;
} reader;

// Zero at the end: callers need not look.
static uint8_t next(reader *from) { return from->position < from->in.count ? from->in.bytes[from->position++] : 0; }

static void read_runs(reader from, bitmap *result) {
  size_t x = 0;
  size_t y = 0;
  // BUG: only the end mark ends it. A file that was cut off is zeros for ever, each of them "end of line".
  for (;;) {
    uint8_t length = next(&from);
    uint8_t value = next(&from);
    if (length > 0) {
      for (int count = 0; count < length; count++) {
        // BUG: nothing keeps it inside the picture.
        result->pixels[y * result->width + x++] = value;
      }
    } else if (value == 0) {
      x = 0;
      y++;
    } else if (value == 1) {
      return;
    } else if (value == 2) {
      x += next(&from);
      y += next(&from);
    } else {
      for (int count = 0; count < value; count++) {
        result->pixels[y * result->width + x++] = next(&from);
      }
      if (value & 1) {
        next(&from);
      }
    }
  }
}

static int read_rows(reader from, bitmap *result) {
  size_t row = (size_t)result->width * result->bits / 8;
  size_t padding = (4 - row % 4) % 4;
  // BUG: no picture has no columns. On x86 dividing by zero ends the program.
  uint32_t rows = (uint32_t)(from.in.count - from.position) / result->width;
  if (rows < result->height / 100) {
    return cut_off;
  }
  for (size_t y = 0; y < result->height; y++) {
    for (size_t x = 0; x < row; x++) {
      result->pixels[y * row + x] = next(&from);
    }
    from.position += padding;
  }
  return ok;
}

static int decode_one(input in, size_t start, bitmap *result) {
  in.bytes += start;
  in.count -= start;
  if (in.count < header_size + 40) {
    return cut_off;
  }
  uint32_t info_size = number(in, 14, 4);
  result->width = number(in, 18, 4);
  result->height = number(in, 22, 4);
  result->bits = number(in, 28, 2);
  uint32_t compression = number(in, 30, 4);
  require(result->bits == 8 || result->bits == 24, "bits == 8 || bits == 24");
  if (result->height == 0) {
    return empty;
  }
  if (result->bits == 8) {
    read_palette(in, info_size, result);
  }
  // BUG: whatever the header asks for, however small the file.
  size_t size = (size_t)result->width * result->height * (result->bits / 8);
  result->pixels = get_memory(size);
  memset(result->pixels, 0, size);
  // Pixels are at an offset from the start of the whole file.
  reader from = {{in.bytes - start, in.count + start}, number(in, 10, 4)};
  if (compression == 1) {
    read_runs(from, result);
    return ok;
  }
  return read_rows(from, result);
}

static int decode(input in, size_t start, bitmap *result) {
  if (in.count < start + array_header_size) {
    return cut_off;
  }
  if (memcmp(in.bytes + start, "BM", 2) == 0) {
    return decode_one(in, start, result);
  }
  if (memcmp(in.bytes + start, "BA", 2) != 0) {
    return not_a_bitmap;
  }
  // An array of the same picture in several sizes: the largest is taken.
  int error = decode_one(in, start + array_header_size, result);
  uint32_t following = number(in, start + 6, 4);
  if (error == ok && following != 0) {
    bitmap other = {0};
    // BUG: "following" may be where it has been before; every round takes more of the stack.
    error = decode(in, following, &other);
    if (error == ok && other.width > result->width) {
      bitmap_free(result);
      *result = other;
    } else {
      bitmap_free(&other);
    }
  }
  return error;
}

int bitmap_decode(const uint8_t *bytes, size_t count, bitmap *result) {
  *result = (bitmap){0};
  int error = decode((input){bytes, count}, 0, result);
  // BUG: it leaks what it has when it fails.
  return error;
}

void bitmap_free(bitmap *bitmap) {
  free(bitmap->pixels);
  free(bitmap->palette);
}

const char *bitmap_error_text(int number) {
  switch (number) {
    case ok: return "no error";
    case not_a_bitmap: return "not a BMP file";
    case cut_off: return "the file is too short";
    case empty: return "a picture without rows";
    default: return "unknown error";
  }
}
