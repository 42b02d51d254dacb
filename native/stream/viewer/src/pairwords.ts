/** The texts of pairing, in both languages. */

const en = {
  title: "Pair this device",
  pairing: "Asking the host…",
  check: "The host asks its owner now. Both sides must show the same digits:",
  words: "Type the eight words that the host shows",
  wordsLabel: "Eight words",
  pair: "Pair",
  again: "Ask the owner for a new code, then scan it or type its words.",
  refused: "The owner did not let this device in.",
  expired: "The owner did not answer in time.",
  revoked: "This device is not let in any more.",
  notPaired: "This device is not paired with the machine yet.",
  wrong: "The code is wrong, or was altered on its way.",
  untrusted: "The server that answers is not the one that made this code. Somebody may stand in between: do not go on "
    + "unless you know why.",
  forged: "The answer is not the host's. Somebody may stand in between.",
  used: "Another device has used this code.",
  gone: "This code is not valid any more.",
  tooOften: "This code was tried too often and is not valid any more.",
  unreachable: "The host does not answer.",
  unable: "This browser keeps no keys for this address: use another one, or leave its private mode.",
} as const;

export type PairWords = { readonly [Name in keyof typeof en]: string };

export const pairEn: PairWords = en;

export const pairZh: PairWords = {
  title: "配对此设备",
  pairing: "正在联系主机…",
  check: "主机正在询问它的主人。两边的数字应当相同：",
  words: "请输入主机上显示的八个词",
  wordsLabel: "八个词",
  pair: "配对",
  again: "请向主人要一个新的配对码，再扫描它或输入上面的词。",
  refused: "主人没有允许此设备。",
  expired: "主人没有及时答复。",
  revoked: "此设备的授权已被取消。",
  notPaired: "此设备还没有与虚拟机配对。",
  wrong: "配对码不对，或在途中被改动。",
  untrusted: "应答的服务器不是生成此配对码的那一台，中间可能有人。不清楚原因时，请不要继续。",
  forged: "应答不是主机发出的，中间可能有人。",
  used: "此配对码已被另一台设备使用。",
  gone: "此配对码已失效。",
  tooOften: "此配对码试过太多次，已失效。",
  unreachable: "主机没有应答。",
  unable: "此浏览器不能为这个地址保存密钥：请换一个浏览器，或退出无痕模式。",
};
