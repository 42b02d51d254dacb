/** The viewer's words in Chinese. */
import { pairZh } from "../pairwords.ts";
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
        return zh.failure[state.why];
      case "refused":
        return zh.failure[state.why];
      case "unsupported":
        return "此浏览器不支持 WebRTC";
      case "left":
        return "已断开连接";
    }
  },
  failure: {
    unreachable: "虚拟机没有应答",
    offline: "没有网络",
    refused: "无权访问",
    foreign: "不能用这个地址访问",
    full: "观看的人太多",
    codec: "没有共同的视频格式",
    blocked: "画面传不过来",
    lost: "连接断了",
    ended: "连接已结束",
    server: "无法显示这台虚拟机",
  },
  remedy: {
    unreachable: "它可能已经结束，或者中间隔着别的网络。请看看它是否还在运行，两台设备是否在同一个网络里。",
    offline: "这台设备没有联网。请打开 Wi-Fi 或移动网络。",
    refused: "此地址不含有效的密钥。请打开 Sampan 给出的完整地址，包括 # 号之后的全部内容。",
    foreign: "打开页面用的名称或端口不是 Sampan 的。请打开 Sampan 给出的地址。",
    full: "同时观看的设备已达上限。请在其中一台上关闭页面。",
    codec: "这个浏览器在这里既不能解码 H.264，也不能解码 VP8。请换一个浏览器打开，例如 Chrome、Edge、Firefox 或 Safari。",
    blocked: "虚拟机有应答，但画面传不过来：防火墙、VPN 或网络的客户端隔离拦住了 UDP。请允许两台设备之间的 UDP，或者换一个网络。",
    lost: "网络或虚拟机中断了。",
    ended: "Sampan 结束了连接，它可能已经停止。",
    server: "",
  },
  tryingAgain: (seconds) => `${seconds} 秒后重试…`,
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
  noPicture: "画面没有来",
  noPictureDetail: "连接正常，但收不到画面。可能是浏览器无法解码：请重试，或者换一个浏览器。",
  displayOff: "没有画面",
  displayOffDetail: "虚拟机关闭了显示器，按任意键也许能唤醒。",
  clickToCapture: "点击画面，让虚拟机接管指针",
  escToRelease: "按 Esc 取回指针",
  keys: "特殊按键",
  keysHint: "这个键盘没有的键，或者会被浏览器或系统截获的键",
  write: "用这台设备的键盘和输入法打字",
  textInputLabel: "要输入到虚拟机的文字",
  more: "更多",
  untyped: {
    untypable: "这些字没有对应的键，虚拟机没有收到。请在虚拟机里安装剪贴板助手（spice-vdagent)，并登录桌面。",
    not_pasted: "虚拟机里没有程序粘贴这些字。请先点一下那里的输入框，再输入一次。",
    no_clipboard_agent: "虚拟机里的剪贴板助手没有应答，这些字没有输进去。请登录虚拟机的桌面。",
    text_busy: "前面的文字虚拟机还没有收完，请稍等。",
    text_unsupported: "这台虚拟机只接受按键，不接受文字。",
  },
  people: {
    label: "在场的人",
    owner: "机主",
    unnamed: "一台设备",
    nobody: "没有人",
    you: (name) => `${name}（你）`,
    drives: "正在操作",
    wants: "请求控制",
    watches: "正在观看",
    notDriving: (who) => `${who}正在操作，你的按键和指针不起作用。`,
    watching: (who) => `${who}正在操作。这台设备只能观看。`,
    asked: (who) => `已请求控制，由${who}决定。`,
    refused: (who) => `控制请求被拒绝，${who}正在操作。`,
    asks: (who) => `${who}请求控制。`,
    steps: { ask: "请求控制", take: "接管控制", withdraw: "撤回", give: "移交", refuse: "拒绝" },
  },
  screenshot: "保存截图",
  copyPicture: "复制截图",
  pictureCopied: "截图已复制到剪贴板",
  pictureNotCopied: "浏览器不允许复制截图",
  record: "录制视频",
  stopRecording: "停止录制",
  recording: "正在录制",
  zoomOut: "显示完整画面",
  touchMode: "手指",
  touchModes: { direct: "直接点按", trackpad: "触控板" },
  theme: "颜色",
  themes: { auto: "跟随系统", light: "浅色", dark: "深色" },
  language: "语言",
  follow: "虚拟机分辨率跟随窗口",
  contents: "虚拟机里内容的大小",
  contentScales: { "1": "1 倍（最清晰）", "1.5": "1.5 倍", "2": "2 倍", "3": "3 倍" },
  stats: "统计信息",
  fullscreen: "全屏",
  leaveFullscreen: "退出全屏",
  retry: "立即重试",
  stickyHint: "点一下用于下一个键，点两下锁定",
  held: {
    once: (key) => `${key}，用于下一个键`,
    locked: (key) => `${key}，已锁定`,
  },
  arrows: { left: "左", up: "上", down: "下", right: "右" },
  press: (key) => `按一下 ${key}`,
  statsRows: {
    size: "画面大小",
    fps: "帧率",
    bitrate: "码率",
    rtt: "往返时延",
    decode: "解码",
    paint: "收到到显示",
    buffer: "抖动缓冲",
    lost: "丢包",
    codec: "编码",
    path: "路径",
    secure: "页面",
  },
  path: (protocol, relayed) => `${protocol}，${relayed ? "经中继" : "直连"}`,
  secureYes: "可信",
  secureNo: "不可信：不能复制，也不能截获系统按键",
  pair: pairZh,
};
