/*
 * H.264 encoding by x264 behind six functions of plain types.
 *
 * x264's structures differ between its builds, and its entry points have the build's number in their names: compiled here against
 * the header that belongs to the library, both are right by construction.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <x264.h>

struct sampan_x264 {
    x264_t *encoder;
    x264_param_t param;
    x264_picture_t out;
    int64_t frames;
};

/* What the rate control would not take, it is not given: a frame of less than this is of no use. */
#define LEAST_KILOBITS 8

/*
 * Bounds a frame: x264's buffer (H.264 annex C) holds just one, and is full again before the next. So how large a frame may be is
 * said anew for each, by whoever knows how much the path takes; x264 itself would count every frame as lasting 1/fps.
 */
static void bound(x264_param_t *param, unsigned kilobits)
{
    if (kilobits < LEAST_KILOBITS)
        kilobits = LEAST_KILOBITS;
    /* Both are `int`s of kilobits, and the second is multiplied by 1000 in an `int`. */
    if (kilobits > 2000000 / param->i_fps_num)
        kilobits = 2000000 / param->i_fps_num;
    param->rc.i_vbv_buffer_size = (int)kilobits;
    param->rc.i_vbv_max_bitrate = (int)(kilobits * param->i_fps_num);
}

/*
 * Makes an encoder. `full` says that each chroma plane has the size of luma (4:4:4), `level` is the one of H.264's annex A times
 * ten. Returns null on failure.
 */
struct sampan_x264 *sampan_x264_open(unsigned width, unsigned height, int full, int full_range, int level, unsigned fps,
                                     unsigned kilobits, float quantiser, unsigned threads)
{
    struct sampan_x264 *self = calloc(1, sizeof *self);
    x264_param_t *param;

    if (!self)
        return NULL;
    param = &self->param;
    if (x264_param_default_preset(param, "ultrafast", "zerolatency") < 0) {
        free(self);
        return NULL;
    }
    param->i_log_level = X264_LOG_NONE;
    param->i_width = (int)width;
    param->i_height = (int)height;
    param->i_level_idc = level;
    param->i_csp = full ? X264_CSP_I444 : X264_CSP_I420;
    /* Slices are for many cores only; a picture is never held back for the next one. */
    param->i_threads = (int)threads;
    param->b_sliced_threads = threads > 1;
    param->i_lookahead_threads = 1;
    param->i_fps_num = fps;
    param->i_fps_den = 1;
    param->b_vfr_input = 0;
    /* Keyframes when they are asked for, with all that a decoder needs in them. */
    param->i_keyint_max = X264_KEYINT_MAX_INFINITE;
    param->i_scenecut_threshold = 0;
    param->b_repeat_headers = 1;
    param->b_annexb = 1;
    param->b_aud = 0;
    /* BT.709, as the pictures that come here are converted. */
    param->vui.b_fullrange = full_range;
    param->vui.i_colorprim = 1;
    param->vui.i_transfer = 1;
    param->vui.i_colmatrix = 1;
    /* A quantiser that says what it is, whatever the picture: `qcompress` 1 takes the picture's complexity out of it. */
    param->rc.i_rc_method = X264_RC_CRF;
    param->rc.f_rf_constant = quantiser;
    param->rc.f_qcompress = 1;
    param->rc.f_ip_factor = 1;
    param->rc.i_aq_mode = X264_AQ_NONE;
    param->rc.b_mb_tree = 0;
    param->rc.f_vbv_buffer_init = 1;
    bound(param, kilobits);
    /* Text is to be as it was: no noise for the eye's sake. */
    param->analyse.b_psy = 0;
    param->analyse.b_mb_info = 1;
    param->analyse.b_psnr = 0;
    param->analyse.b_ssim = 0;
    self->encoder = x264_encoder_open(param);
    if (!self->encoder) {
        free(self);
        return NULL;
    }
    x264_encoder_parameters(self->encoder, param);
    return self;
}

/* Sets the quantiser and the most bits of the frames to come. */
int sampan_x264_set(struct sampan_x264 *self, float quantiser, unsigned kilobits)
{
    self->param.rc.f_rf_constant = quantiser;
    bound(&self->param, kilobits);
    return x264_encoder_reconfig(self->encoder, &self->param);
}

/*
 * Encodes one picture whose planes have rows of `stride` and `chroma_stride` bytes. `same` has a byte for each macroblock in rows:
 * X264_MBINFO_CONSTANT (1) where the picture is as it was; null where all may have changed. On success *length is 0 if there is
 * no packet; else *data is valid until the next call. *excess is by how much the bound raised the quantiser.
 */
int sampan_x264_encode(struct sampan_x264 *self, const uint8_t *y, const uint8_t *u, const uint8_t *v, int stride,
                       int chroma_stride, int key, const uint8_t *same, const uint8_t **data, size_t *length, int *is_key,
                       float *excess)
{
    x264_picture_t picture;
    x264_nal_t *nals;
    int count = 0, size;

    *data = NULL;
    *length = 0;
    x264_picture_init(&picture);
    picture.i_type = key ? X264_TYPE_IDR : X264_TYPE_P;
    picture.i_pts = self->frames++;
    picture.img.i_csp = self->param.i_csp;
    picture.img.i_plane = 3;
    /* They are only read. */
    picture.img.plane[0] = (uint8_t *)y;
    picture.img.plane[1] = (uint8_t *)u;
    picture.img.plane[2] = (uint8_t *)v;
    picture.img.i_stride[0] = stride;
    picture.img.i_stride[1] = chroma_stride;
    picture.img.i_stride[2] = chroma_stride;
    picture.prop.mb_info = (uint8_t *)same;
    size = x264_encoder_encode(self->encoder, &nals, &count, &picture, &self->out);
    if (size < 0)
        return size;
    if (size > 0) {
        /* The payloads of one picture lie one after the other (x264.h). */
        *data = nals[0].p_payload;
        *length = (size_t)size;
        *is_key = self->out.b_keyframe;
        *excess = (float)self->out.prop.f_crf_avg - self->param.rc.f_rf_constant;
    }
    return 0;
}

/*
 * The last picture as a decoder has it: its planes by number. In 4:2:0 x264 has two, the second with U and V in turn. Null
 * where there is none.
 */
const uint8_t *sampan_x264_decoded(const struct sampan_x264 *self, int plane, int *stride)
{
    if (plane < 0 || plane >= self->out.img.i_plane)
        return NULL;
    *stride = self->out.img.i_stride[plane];
    return self->out.img.plane[plane];
}

/* Frees an encoder. */
void sampan_x264_close(struct sampan_x264 *self)
{
    x264_encoder_close(self->encoder);
    free(self);
}
