//! OpenH264's C interface: the one place where `unsafe` touches it.
//!
//! The structures come from `openh264-sys2`, which is generated from the headers of the very sources it compiles,
//! so that their layouts agree.

#![allow(unsafe_code)]

use openh264_sys2::{
    API, CAMERA_VIDEO_REAL_TIME, CONSTANT_ID, DynamicAPI, ENCODER_OPTION, ENCODER_OPTION_BITRATE,
    ENCODER_OPTION_RC_MODE, ENCODER_OPTION_TRACE_LEVEL, ISVCEncoder, ISVCEncoderVtbl, LOW_COMPLEXITY,
    PRO_BASELINE, RC_BITRATE_MODE, RC_OFF_MODE, SBitrateInfo, SEncParamExt, SFrameBSInfo,
    SM_FIXEDSLCNUM_SLICE, SM_SINGLE_SLICE, SPATIAL_LAYER_ALL, SSourcePicture, VIDEO_CODING_LAYER,
    videoFormatI420, videoFrameTypeIDR, videoFrameTypeSkip,
};
use std::ffi::{c_int, c_uchar, c_void};

/// A call into OpenH264 that failed: which one, and what it answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The function's name.
    pub call: &'static str,
    /// Its result.
    pub code: i32,
}

/// What an encoder is made for.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// Luma columns, even.
    pub width: u32,
    /// Luma rows, even.
    pub height: u32,
    /// Frames per second at most.
    pub frame_rate: f32,
    /// Bits per second.
    pub bitrate: i32,
    /// The quantiser of a refined picture, 0 (best) to 51.
    pub refined_qp: i32,
    /// Slices per picture, each encoded on its own thread.
    pub threads: u16,
}

/// The planes of one picture of [`Setup`]'s size in I420.
#[derive(Clone, Copy, Debug)]
pub struct Planes<'a> {
    /// Luma, `stride` bytes a row.
    pub y: &'a [u8],
    /// Chroma, half of `stride` a row.
    pub u: &'a [u8],
    /// Chroma, half of `stride` a row.
    pub v: &'a [u8],
    /// Bytes in a row of luma, even.
    pub stride: usize,
}

/// An initialised OpenH264 encoder.
pub struct RawEncoder {
    api: DynamicAPI,
    encoder: *mut ISVCEncoder,
    setup: Setup,
}

// SAFETY: the encoder has no tie to the thread that made it, and `&mut self` on every call keeps two threads from
// using it at once.
unsafe impl Send for RawEncoder {}

impl RawEncoder {
    /// Makes an encoder for constrained baseline in camera mode: no reordering, no lookahead, no keyframe that was
    /// not asked for.
    pub fn new(setup: Setup) -> Result<Self, Failure> {
        let api = DynamicAPI::from_source();
        let mut encoder = std::ptr::null_mut();
        // SAFETY: the out pointer is valid for the call, which stores either an encoder or null.
        let code = unsafe { api.WelsCreateSVCEncoder(&raw mut encoder) };
        if code != 0 || encoder.is_null() {
            return Err(Failure { call: "WelsCreateSVCEncoder", code });
        }
        let mut this = Self { api, encoder, setup };
        // Its own messages would go to stderr.
        this.set_option("SetOption(TRACE_LEVEL)", ENCODER_OPTION_TRACE_LEVEL, 0_i32)?;
        let mut params = this.default_params()?;
        this.fill(&mut params);
        // SAFETY: the encoder is live and `params` is valid for the call, which copies it.
        let code = unsafe { call(this.vtable().InitializeExt)(this.encoder, &raw const params) };
        if code == 0 { Ok(this) } else { Err(Failure { call: "InitializeExt", code }) }
    }

    fn vtable(&self) -> &ISVCEncoderVtbl {
        // SAFETY: `encoder` points to a live object (until Drop) whose first word is its table of functions; the
        // table is static.
        unsafe { &**self.encoder }
    }

    fn default_params(&mut self) -> Result<SEncParamExt, Failure> {
        let mut params = SEncParamExt::default();
        // SAFETY: the encoder is live and `params` is valid for writing.
        let code = unsafe { call(self.vtable().GetDefaultParams)(self.encoder, &raw mut params) };
        if code == 0 { Ok(params) } else { Err(Failure { call: "GetDefaultParams", code }) }
    }

    fn fill(&self, params: &mut SEncParamExt) {
        let setup = &self.setup;
        params.iUsageType = CAMERA_VIDEO_REAL_TIME;
        // Both sides are below 2^15: `Encoder` checks the area before.
        params.iPicWidth = setup.width as c_int;
        params.iPicHeight = setup.height as c_int;
        params.iTargetBitrate = setup.bitrate;
        params.iRCMode = RC_BITRATE_MODE;
        params.fMaxFrameRate = setup.frame_rate;
        params.iSpatialLayerNum = 1;
        params.iTemporalLayerNum = 1;
        params.iComplexityMode = LOW_COMPLEXITY;
        params.uiIntraPeriod = 0;
        params.iNumRefFrame = 1;
        params.eSpsPpsIdStrategy = CONSTANT_ID;
        params.bEnableFrameSkip = false;
        params.bEnableSceneChangeDetect = false;
        params.bEnableBackgroundDetection = false;
        params.bEnableAdaptiveQuant = false;
        params.bEnableDenoise = false;
        params.bEnableLongTermReference = false;
        params.bEnableFrameCroppingFlag = true;
        params.iEntropyCodingModeFlag = 0;
        params.iMultipleThreadIdc = setup.threads;
        params.iMinQp = 12;
        params.iMaxQp = 51;
        let layer = &mut params.sSpatialLayers[0];
        layer.iVideoWidth = setup.width as c_int;
        layer.iVideoHeight = setup.height as c_int;
        layer.fFrameRate = setup.frame_rate;
        layer.iSpatialBitrate = setup.bitrate;
        layer.iMaxSpatialBitrate = 0;
        layer.iDLayerQp = setup.refined_qp;
        layer.uiProfileIdc = PRO_BASELINE;
        // The level is left to the encoder, which takes the lowest that holds the size.
        layer.sSliceArgument.uiSliceMode =
            if setup.threads > 1 { SM_FIXEDSLCNUM_SLICE } else { SM_SINGLE_SLICE };
        layer.sSliceArgument.uiSliceNum = u32::from(setup.threads);
        // What the conversion makes: BT.709, limited range (H.264 annex E, tables E-3 to E-5).
        layer.bVideoSignalTypePresent = true;
        layer.uiVideoFormat = 5;
        layer.bFullRange = false;
        layer.bColorDescriptionPresent = true;
        layer.uiColorPrimaries = 1;
        layer.uiTransferCharacteristics = 1;
        layer.uiColorMatrix = 1;
    }

    fn set_option<T>(
        &mut self,
        name: &'static str,
        option: ENCODER_OPTION,
        mut value: T,
    ) -> Result<(), Failure> {
        // SAFETY: the encoder is live, and each caller passes the type that the option is read as
        // (`codec_app_def.h`); it is copied during the call.
        let code =
            unsafe { call(self.vtable().SetOption)(self.encoder, option, (&raw mut value).cast::<c_void>()) };
        if code == 0 { Ok(()) } else { Err(Failure { call: name, code }) }
    }

    /// Sets the target bit rate in bits per second.
    pub fn set_bitrate(&mut self, bitrate: i32) -> Result<(), Failure> {
        let info = SBitrateInfo { iLayer: SPATIAL_LAYER_ALL, iBitrate: bitrate };
        self.set_option("SetOption(BITRATE)", ENCODER_OPTION_BITRATE, info)
    }

    /// Leaves the rate control (`true`: every picture gets the refined quantiser) or returns to it.
    pub fn set_refined(&mut self, refined: bool) -> Result<(), Failure> {
        let mode = if refined { RC_OFF_MODE } else { RC_BITRATE_MODE };
        self.set_option("SetOption(RC_MODE)", ENCODER_OPTION_RC_MODE, mode)
    }

    /// Encodes one picture and appends its access unit (Annex B) to `out`; answers whether it is a keyframe.
    ///
    /// An answer of `None` means that the encoder skipped the picture.
    pub fn encode(
        &mut self,
        planes: Planes<'_>,
        key: bool,
        milliseconds: i64,
        out: &mut Vec<u8>,
    ) -> Result<Option<bool>, Failure> {
        let (width, height) = (self.setup.width as usize, self.setup.height as usize);
        let half = planes.stride / 2;
        let luma = planes.stride * (height - 1) + width;
        let chroma = half * (height / 2 - 1) + width / 2;
        if planes.stride < width
            || planes.y.len() < luma
            || planes.u.len() < chroma
            || planes.v.len() < chroma
        {
            return Err(Failure { call: "the size check of the planes", code: -1 });
        }
        if key {
            // SAFETY: the encoder is live.
            let code = unsafe { call(self.vtable().ForceIntraFrame)(self.encoder, true) };
            if code != 0 {
                return Err(Failure { call: "ForceIntraFrame", code });
            }
        }
        let plane = |bytes: &[u8]| bytes.as_ptr().cast_mut().cast::<c_uchar>();
        let picture = SSourcePicture {
            iColorFormat: videoFormatI420 as c_int,
            iStride: [planes.stride as c_int, half as c_int, half as c_int, 0],
            pData: [plane(planes.y), plane(planes.u), plane(planes.v), std::ptr::null_mut()],
            iPicWidth: self.setup.width as c_int,
            iPicHeight: self.setup.height as c_int,
            uiTimeStamp: milliseconds,
            ..SSourcePicture::default()
        };
        let mut info = SFrameBSInfo::default();
        // SAFETY: the encoder is live; the planes hold every row that the sizes and strides name (checked above), are
        // only read, and outlive the call; `info` is valid for writing.
        let code =
            unsafe { call(self.vtable().EncodeFrame)(self.encoder, &raw const picture, &raw mut info) };
        if code != 0 {
            return Err(Failure { call: "EncodeFrame", code });
        }
        if info.eFrameType == videoFrameTypeSkip {
            return Ok(None);
        }
        let layers = usize::try_from(info.iLayerNum).unwrap_or(0).min(info.sLayerInfo.len());
        let mut pictures = 0;
        for layer in &info.sLayerInfo[..layers] {
            let nals = usize::try_from(layer.iNalCount).unwrap_or(0);
            if nals == 0 || layer.pNalLengthInByte.is_null() || layer.pBsBuf.is_null() {
                continue;
            }
            // SAFETY: the encoder filled `iNalCount` lengths, and keeps them and the bytes until its next call.
            let lengths = unsafe { std::slice::from_raw_parts(layer.pNalLengthInByte, nals) };
            let total = lengths.iter().map(|&l| usize::try_from(l).unwrap_or(0)).sum();
            // SAFETY: the NAL units of a layer lie one after the other in `pBsBuf`.
            out.extend_from_slice(unsafe { std::slice::from_raw_parts(layer.pBsBuf, total) });
            pictures += usize::from(u32::from(layer.uiLayerType) == VIDEO_CODING_LAYER as u32);
        }
        Ok((pictures > 0).then_some(info.eFrameType == videoFrameTypeIDR))
    }
}

impl Drop for RawEncoder {
    fn drop(&mut self) {
        // SAFETY: the encoder is live and not used afterwards. Uninitialize is allowed on one that was never
        // initialised.
        unsafe {
            call(self.vtable().Uninitialize)(self.encoder);
            self.api.WelsDestroySVCEncoder(self.encoder);
        }
    }
}

/// A function of the table. OpenH264 fills every one: a C++ object's table has no empty places.
fn call<F>(function: Option<F>) -> F {
    function.expect("OpenH264's table of functions is complete")
}
