//go:build libjpeg && cgo

#include "jpeg.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

#ifndef LIBJPEG_TURBO_VERSION
#error "libjpeg-turbo is needed: another libjpeg cannot decode a part of an image"
#endif

struct errors {
	struct jpeg_error_mgr base;
	jmp_buf back;
	char *message;
};

static void leave(j_common_ptr c) {
	struct errors *e = (struct errors *)c->err;
	char text[JMSG_LENGTH_MAX];
	e->base.format_message(c, text);
	snprintf(e->message, HDAS_JPEG_MESSAGE, "%s", text);
	longjmp(e->back, 1);
}

// Pillow ignores warnings, and so does this decoder: libjpeg continues at the next restart marker or fills
// the gap. JWRN_JPEG_EOF means that the file is cut, which is an error in Pillow, too.
static void warn(j_common_ptr c, int level) {
	if (level < 0 && c->err->msg_code == JWRN_JPEG_EOF) leave(c);
}

static void begin(struct jpeg_decompress_struct *d, struct errors *e, char *message) {
	d->err = jpeg_std_error(&e->base);
	e->base.error_exit = leave;
	e->base.emit_message = warn;
	e->message = message;
}

int hdas_jpeg_size(const unsigned char *data, size_t size, int *w, int *h, char *message) {
	struct jpeg_decompress_struct d;
	struct errors e;
	memset(&d, 0, sizeof d);
	begin(&d, &e, message);
	if (setjmp(e.back)) {
		jpeg_destroy_decompress(&d);
		return 1;
	}
	jpeg_create_decompress(&d);
	jpeg_mem_src(&d, (unsigned char *)data, size);
	jpeg_read_header(&d, TRUE);
	*w = d.image_width;
	*h = d.image_height;
	jpeg_destroy_decompress(&d);
	return 0;
}

// Adobe's programs write CMYK inverted.
static void invert(unsigned char *p, size_t n) {
	for (size_t i = 0; i < n; i++) p[i] = 255 - p[i];
}

int hdas_jpeg_region(const unsigned char *data, size_t size, int x, int y, int w, int h, unsigned char *pix, size_t room,
                     int *left, int *width, int *channels, char *message) {
	struct jpeg_decompress_struct d;
	struct errors e;
	memset(&d, 0, sizeof d);
	begin(&d, &e, message);
	if (setjmp(e.back)) {
		jpeg_destroy_decompress(&d);
		return 1;
	}
	jpeg_create_decompress(&d);
	jpeg_mem_src(&d, (unsigned char *)data, size);
	jpeg_read_header(&d, TRUE);
	int cmyk = d.jpeg_color_space == JCS_CMYK || d.jpeg_color_space == JCS_YCCK;
	d.out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
	jpeg_start_decompress(&d);
	// The colours of a pixel depend on its neighbours (chroma upsampling), so two more columns on each side
	// are decoded.
	JDIMENSION from = x > 2 ? x - 2 : 0, columns = x + w + 2 < (int)d.output_width ? x + w + 2 - from : d.output_width - from;
	if (columns < d.output_width) jpeg_crop_scanline(&d, &from, &columns);
	else from = 0;
	*left = from;
	*width = d.output_width;
	*channels = d.output_components;
	size_t line = (size_t)d.output_width * d.output_components;
	if (line * h > room || d.output_components != (cmyk ? 4 : 3)) {
		snprintf(message, HDAS_JPEG_MESSAGE, "%u columns of %d channels, more than expected", d.output_width, d.output_components);
		jpeg_destroy_decompress(&d);
		return 1;
	}
	if (y > 0) jpeg_skip_scanlines(&d, y);
	for (int i = 0; i < h;) {
		JSAMPROW rows[8];
		int n = h - i < 8 ? h - i : 8;
		for (int k = 0; k < n; k++) rows[k] = pix + line * (i + k);
		i += jpeg_read_scanlines(&d, rows, n);
	}
	if (cmyk && d.saw_Adobe_marker) invert(pix, line * h);
	// If all rows are decoded, read the file to its end, which detects damage there.
	if (d.output_scanline == d.output_height) jpeg_finish_decompress(&d);
	jpeg_destroy_decompress(&d);
	return 0;
}
