/*
 * VP8 encoding by libvpx behind six functions of plain types.
 *
 * libvpx's structures differ between its versions, and its entry points check an ABI number that its headers define:
 * compiled here against the headers that are installed, both are right by construction.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <vpx/vp8cx.h>
#include <vpx/vpx_encoder.h>

struct sampan_vp8 {
    vpx_codec_ctx_t codec;
    vpx_codec_enc_cfg_t config;
    vpx_image_t image;
};

/* Makes an encoder. Returns null and sets *code on failure. */
struct sampan_vp8 *sampan_vp8_open(unsigned width, unsigned height, unsigned kilobits, unsigned threads, int *code)
{
    struct sampan_vp8 *self = calloc(1, sizeof *self);
    if (!self) {
        *code = VPX_CODEC_MEM_ERROR;
        return NULL;
    }
    *code = vpx_codec_enc_config_default(vpx_codec_vp8_cx(), &self->config, 0);
    if (*code != VPX_CODEC_OK) {
        free(self);
        return NULL;
    }
    self->config.g_w = width;
    self->config.g_h = height;
    self->config.g_threads = threads;
    self->config.g_timebase.num = 1;
    self->config.g_timebase.den = 1000;
    self->config.g_lag_in_frames = 0;
    self->config.g_pass = VPX_RC_ONE_PASS;
    self->config.rc_end_usage = VPX_CBR;
    self->config.rc_target_bitrate = kilobits;
    self->config.rc_dropframe_thresh = 0;
    self->config.rc_resize_allowed = 0;
    self->config.rc_min_quantizer = 4;
    self->config.rc_max_quantizer = 56;
    self->config.rc_buf_sz = 1000;
    self->config.rc_buf_initial_sz = 500;
    self->config.rc_buf_optimal_sz = 600;
    self->config.rc_undershoot_pct = 100;
    self->config.rc_overshoot_pct = 15;
    self->config.kf_mode = VPX_KF_DISABLED;
    *code = vpx_codec_enc_init(&self->codec, vpx_codec_vp8_cx(), &self->config, 0);
    if (*code != VPX_CODEC_OK) {
        free(self);
        return NULL;
    }
    /* The fastest fixed speed; blocks that hardly changed are skipped; made for screens. */
    vpx_codec_control(&self->codec, VP8E_SET_CPUUSED, -12);
    vpx_codec_control(&self->codec, VP8E_SET_STATIC_THRESHOLD, 1);
    vpx_codec_control(&self->codec, VP8E_SET_SCREEN_CONTENT_MODE, 1);
    vpx_codec_control(&self->codec, VP8E_SET_NOISE_SENSITIVITY, 0);
    vpx_codec_control(&self->codec, VP8E_SET_TOKEN_PARTITIONS, VP8_ONE_TOKENPARTITION);
    return self;
}

/* Sets the target bit rate. */
int sampan_vp8_bitrate(struct sampan_vp8 *self, unsigned kilobits)
{
    self->config.rc_target_bitrate = kilobits;
    return vpx_codec_enc_config_set(&self->codec, &self->config);
}

/*
 * Says which blocks of 16 by 16 pixels may have changed, a byte each, row by row; the others are coded as what was there.
 * Without a map all may have. A keyframe has all of them whatever was said.
 */
int sampan_vp8_active(struct sampan_vp8 *self, const uint8_t *map, unsigned rows, unsigned columns)
{
    vpx_active_map_t active = {(unsigned char *)map, rows, columns};

    return vpx_codec_control(&self->codec, VP8E_SET_ACTIVEMAP, &active);
}

/*
 * Encodes one picture whose planes have rows of `stride` and `half` bytes. `key` forces a keyframe, `refined` one of
 * high quality. On success *length is 0 if there is no packet; else *data is valid until the next call.
 */
int sampan_vp8_encode(struct sampan_vp8 *self, const uint8_t *y, const uint8_t *u, const uint8_t *v, int stride,
                      int half, int64_t milliseconds, unsigned long duration, int key, int refined,
                      const uint8_t **data, size_t *length, int *is_key)
{
    vpx_codec_iter_t iter = NULL;
    const vpx_codec_cx_pkt_t *packet;
    vpx_codec_enc_cfg_t config = self->config;
    int code;

    *length = 0;
    *data = NULL;
    /* The data pointer only has to be non-null: the planes are set below, and are only read. */
    if (!vpx_img_wrap(&self->image, VPX_IMG_FMT_I420, config.g_w, config.g_h, 1, (unsigned char *)y))
        return VPX_CODEC_MEM_ERROR;
    self->image.planes[VPX_PLANE_Y] = (unsigned char *)y;
    self->image.planes[VPX_PLANE_U] = (unsigned char *)u;
    self->image.planes[VPX_PLANE_V] = (unsigned char *)v;
    self->image.stride[VPX_PLANE_Y] = stride;
    self->image.stride[VPX_PLANE_U] = half;
    self->image.stride[VPX_PLANE_V] = half;
    if (refined) {
        config.rc_min_quantizer = 4;
        config.rc_max_quantizer = 12;
        code = vpx_codec_enc_config_set(&self->codec, &config);
        if (code != VPX_CODEC_OK)
            return code;
    }
    code = vpx_codec_encode(&self->codec, &self->image, milliseconds, duration, key ? VPX_EFLAG_FORCE_KF : 0,
                            VPX_DL_REALTIME);
    if (refined && vpx_codec_enc_config_set(&self->codec, &self->config) != VPX_CODEC_OK && code == VPX_CODEC_OK)
        code = VPX_CODEC_ERROR;
    if (code != VPX_CODEC_OK)
        return code;
    while ((packet = vpx_codec_get_cx_data(&self->codec, &iter))) {
        if (packet->kind == VPX_CODEC_CX_FRAME_PKT && *length == 0) {
            *data = packet->data.frame.buf;
            *length = packet->data.frame.sz;
            *is_key = (packet->data.frame.flags & VPX_FRAME_IS_KEY) != 0;
        }
    }
    return VPX_CODEC_OK;
}

/* Frees an encoder. */
void sampan_vp8_close(struct sampan_vp8 *self)
{
    vpx_codec_destroy(&self->codec);
    free(self);
}
