// A decoder for BMP files, with the bugs of its kind. See bitmap.c.
#ifndef BITMAP_H
#define BITMAP_H

#include <stddef.h>
#include <stdint.h>

typedef struct bitmap {
  uint32_t width;
  uint32_t height;
  /// 8: an index into the palette for each pixel. 24: blue, green, red.
  uint32_t bits;
  uint8_t *_Nullable pixels;
  /// Blue, green, red and nothing for each colour.
  uint8_t *_Nullable palette;
  uint32_t colours;
} bitmap;

/// Returns 0, or a number that `bitmap_error_text` explains. Release the result with `bitmap_free`.
int bitmap_decode(const uint8_t *_Nonnull bytes, size_t count, bitmap *_Nonnull result);
void bitmap_free(bitmap *_Nonnull bitmap);
const char *_Nonnull bitmap_error_text(int number);

#endif
