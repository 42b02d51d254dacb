// The global names of ArkTS, but for the enumerations, which are generated. The compiler imports from here what a file uses.
import { env } from "./env.js";

export * from "./v2.js";
export { $n, $c, $if, $ref, $two, $View } from "./view.js";
export { $each, $repeat } from "./repeat.js";
export { $r, $rawfile } from "./resources.js";
export { NavPathStack, NavPathInfo } from "./nav-stack.js";
export { TapGesture, LongPressGesture, PanGesture, PinchGesture, SwipeGesture, GestureGroup } from "./gestures.js";
export { XComponentController } from "./components/surface.js";
export { TabsController, BottomTabBarStyle, SubTabBarStyle } from "./components/tabs.js";
export { Scroller, Scroller as ListScroller } from "./components/layout.js";
export {
  TextController as TextInputController,
  TextController as TextAreaController,
  TextController as SearchController,
  TextController as TextController,
} from "./components/typing.js";
export { LocalStorage } from "./storage.js";
export { animateTo } from "./ui-context.js";
import { showAlertDialog } from "./dialogs.js";

/** A builder function as a value. */
export class WrappedBuilder {
  constructor(builder) {
    this.builder = builder;
  }
}
export const wrapBuilder = (builder) => new WrappedBuilder(builder);
export const AlertDialog = { show: showAlertDialog };

export const vp2px = (value) => value * env.density;
export const px2vp = (value) => value / env.density;
export const fp2px = (value) => value * env.fontScale * env.density;
export const px2fp = (value) => value / env.density / env.fontScale;
export const getContext = () => env.abilityContext;
/** Whether the device has a capability. */
export const canIUse = (capability) => env.device.capabilities?.[capability] ?? true;

/** Images of a Text's spans take these. */
export class PanGestureOptions {
  constructor(options) {
    Object.assign(this, options);
  }
  setDirection(value) {
    this.direction = value;
  }
  setDistance(value) {
    this.distance = value;
  }
  setFingers(value) {
    this.fingers = value;
  }
}
export class LayoutPolicy {}
export class TransitionEffect {
  static translate() {
    return new TransitionEffect();
  }
  static rotate() {
    return new TransitionEffect();
  }
  static scale() {
    return new TransitionEffect();
  }
  static opacity() {
    return new TransitionEffect();
  }
  static move() {
    return new TransitionEffect();
  }
  static asymmetric() {
    return new TransitionEffect();
  }
  animation() {
    return this;
  }
  combine() {
    return this;
  }
}
TransitionEffect.IDENTITY = new TransitionEffect();
TransitionEffect.OPACITY = new TransitionEffect();
TransitionEffect.SLIDE = new TransitionEffect();
TransitionEffect.SLIDE_SWITCH = new TransitionEffect();
