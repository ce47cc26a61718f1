// JPEG by libjpeg-turbo. Functions return 0, or fill message and return 1.
#include <stddef.h>

#define HDAS_JPEG_MESSAGE 256

int hdas_jpeg_size(const unsigned char *data, size_t size, int *w, int *h, char *message);

// Decodes h rows from y on into pix, of room bytes. Their columns are x..x+w-1 and some around
// them: width from left on. channels is 3 (RGB) or 4 (CMYK).
int hdas_jpeg_region(const unsigned char *data, size_t size, int x, int y, int w, int h, unsigned char *pix, size_t room,
                     int *left, int *width, int *channels, char *message);
