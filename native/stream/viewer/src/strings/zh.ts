/** The viewer's words in Chinese. */
import type { Strings } from "../strings.ts";

export const zh: Strings = {
  title: (name) => (name === "" ? "Sampan" : `${name} – Sampan`),
  screenLabel: "虚拟机的屏幕。获得焦点时，按键都会传给虚拟机；同时按下 Ctrl、Alt 和 Shift 可离开屏幕。",
  toolbarLabel: "控制栏",
  connection: (state) => {
    switch (state.name) {
      case "connecting":
        return "正在连接…";
      case "connected":
        return "已连接";
      case "waiting":
        return `连接已断开，${state.seconds} 秒后重试…`;
      case "refused":
        return "无权访问";
      case "unsupported":
        return "此浏览器不支持 WebRTC";
      case "left":
        return "已断开连接";
    }
  },
  refusedDetail: "此地址不含有效的密钥。请打开 Sampan 给出的完整地址，包括 # 号之后的全部内容。",
  unsupportedDetail: "请换用能够通过 WebRTC 接收视频的浏览器打开此地址。",
  guest: {
    starting: "正在启动…",
    running: "正在运行",
    paused: "已暂停",
    stopped: "已关机",
    died: "意外退出",
  },
  guestDetail: {
    starting: "",
    running: "",
    paused: "虚拟机已暂停，继续运行后才会有反应。",
    stopped: "虚拟机内的系统已关机。",
    died: "模拟器自行退出了。",
  },
  waitingForPicture: "正在等待第一帧画面…",
  displayOff: "没有画面",
  displayOffDetail: "虚拟机关闭了显示器，按任意键也许能唤醒。",
  clickToCapture: "点击画面，让虚拟机接管指针",
  escToRelease: "按 Esc 取回指针",
  keys: "特殊按键",
  keysHint: "会被浏览器或系统截获的按键",
  follow: "虚拟机分辨率跟随窗口",
  stats: "统计信息",
  fullscreen: "全屏",
  leaveFullscreen: "退出全屏",
  retry: "立即重试",
  hold: (key) => `按住 ${key}`,
  press: (key) => `按一下 ${key}`,
  statsRows: {
    size: "画面大小",
    fps: "帧率",
    bitrate: "码率",
    rtt: "往返时延",
    decode: "解码",
    buffer: "抖动缓冲",
    lost: "丢包",
    codec: "编码",
  },
};
