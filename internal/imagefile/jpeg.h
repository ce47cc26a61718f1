// Decoding of JPEG with libjpeg-turbo. The functions return 0; on an error they fill message and return 1.
#include <stddef.h>

#define HDAS_JPEG_MESSAGE 256

int hdas_jpeg_size(const unsigned char *data, size_t size, int *w, int *h, char *message);

// Decodes rows y..y+h-1 to pix, which has room bytes. The decoded columns begin at *left and are *width
// many; they include x..x+w-1. *channels is 3 (RGB) or 4 (CMYK).
int hdas_jpeg_region(const unsigned char *data, size_t size, int x, int y, int w, int h, unsigned char *pix, size_t room,
                     int *left, int *width, int *channels, char *message);
