// XComponent: a canvas that the harness paints; Web: a frame.
import { env, guard } from "../env.js";
import { textOf } from "../resources.js";
import { sizeOf, watchSize } from "../sizes.js";

let nextSurface = 1_000_001;

/** The base of the app's own controllers. */
export class XComponentController {
  getXComponentSurfaceId() {
    return this.$surface?.id ?? "";
  }
  getXComponentContext() {
    return undefined;
  }
  setXComponentSurfaceRect(rect) {
    this.$rect = rect;
  }
  getXComponentSurfaceRect() {
    const { width = 0, height = 0 } = this.$surface ?? {};
    return this.$rect ?? { surfaceWidth: width, surfaceHeight: height, offsetX: 0, offsetY: 0 };
  }
  setXComponentSurfaceSize() {}
  setXComponentSurfaceRotation() {}
  setXComponentSurfaceConfig() {}
  startImageAnalyzer() {}
  onSurfaceCreated() {}
  onSurfaceChanged() {}
  onSurfaceDestroyed() {}
}

const surface = (node) => {
  const { width, height } = sizeOf(node);
  return { width: Math.max(1, Math.round(width * env.density)), height: Math.max(1, Math.round(height * env.density)) };
};

export const surfaces = {
  XComponent: {
    tag: "canvas",
    init(node) {
      node.attribute("role", "img");
    },
    args(node, { controller, id }) {
      node.controller = controller;
      if (id !== undefined && id !== "") node.attribute("id", id);
    },
    done(node) {
      // A surface comes a moment after the component, as on a device.
      queueMicrotask(() =>
        guard(() => {
          if (node.gone) return;
          // Whoever paints the canvas may bring the surface's number; then its pixels are that one's too.
          const painter = env.surface?.(node.el);
          const made = { id: painter?.id ?? String(nextSurface++), canvas: node.el, painter, ...surface(node) };
          node.surface = made;
          sized(made);
          if (node.controller) node.controller.$surface = made;
          env.onSurface?.("created", made);
          node.loaded?.();
          node.controller?.onSurfaceCreated(made.id);
          changed(node);
          watchSize(node, "surface", () => {
            const next = surface(node);
            if (node.gone || (next.width === made.width && next.height === made.height)) return;
            Object.assign(made, next);
            sized(made);
            changed(node);
          });
        }),
      );
    },
    gone(node) {
      if (!node.surface) return;
      // Whoever draws stops before the surface goes: the callback comes first.
      guard(() => node.controller?.onSurfaceDestroyed(node.surface.id));
      node.surface.painter?.destroy();
      env.onSurface?.("destroyed", node.surface);
      if (node.controller) node.controller.$surface = undefined;
    },
    attributes: {
      onLoad(node, handler) {
        node.loaded = () => guard(() => handler({}));
      },
      onDestroy() {},
      enableAnalyzer() {},
      enableSecure() {},
      hdrBrightness() {},
      enableTransparentLayer() {},
    },
  },
  Web: {
    tag: "iframe",
    args(node, { src, controller }) {
      node.attribute("src", textOf(src));
      if (controller) controller.$node = node;
    },
    attributes: {
      onPageEnd: (node, handler) => node.on("load", "load", () => handler({ url: node.el.getAttribute("src") })),
      onErrorReceive(node, handler) {
        node.failed = handler;
      },
      onSslErrorEventReceive(node, handler) {
        node.sslError = handler;
      },
      javaScriptAccess: (node, on) => node.attribute("sandbox", on ? "allow-scripts allow-same-origin allow-downloads" : ""),
      ...Object.fromEntries(
        [
          "domStorageAccess",
          "fileAccess",
          "onlineImageAccess",
          "imageAccess",
          "mixedMode",
          "zoomAccess",
          "cacheMode",
          "darkMode",
          "forceDarkAccess",
          "mediaPlayGestureAccess",
          "onPageBegin",
          "onProgressChange",
          "onTitleReceive",
          "onHttpErrorReceive",
          "onConsole",
          "onAlert",
          "onConfirm",
          "onControllerAttached",
          "onLoadIntercept",
          "onInterceptRequest",
          "onOverrideUrlLoading",
          "onRenderExited",
          "onPermissionRequest",
          "javaScriptProxy",
          "runJavaScriptOnDocumentStart",
          "overScrollMode",
          "verticalScrollBarAccess",
          "horizontalScrollBarAccess",
          "textZoomRatio",
          "databaseAccess",
          "geolocationAccess",
          "multiWindowAccess",
          "keyboardAvoidMode",
          "enableNativeEmbedMode",
          "onFullScreenEnter",
          "onFullScreenExit",
          "onContextMenuShow",
          "onShowFileSelector",
          "initialScale",
          "metaViewport",
          "bypassVsyncCondition",
        ].map((name) => [name, () => {}]),
      ),
    },
  },
};

function sized({ canvas, painter, width, height }) {
  if (painter) {
    painter.resize(width, height);
    return;
  }
  canvas.setAttribute("width", width);
  canvas.setAttribute("height", height);
}

function changed(node) {
  const { id, width, height } = node.surface;
  env.onSurface?.("changed", node.surface);
  node.controller?.onSurfaceChanged(id, { surfaceWidth: width, surfaceHeight: height, offsetX: 0, offsetY: 0 });
}
