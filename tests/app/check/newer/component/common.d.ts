
/**
 * A wheel or a touchpad that was turned.
 * @since 17
 */
declare interface AxisEvent extends BaseEvent {
  /**
   * Degrees.
   * @since 17
   */
  getHorizontalAxisValue(): number;
  /**
   * Degrees.
   * @since 17
   */
  getVerticalAxisValue(): number;
}

declare interface MouseEvent {
  /**
   * How far the mouse itself moved, in pixels.
   * @since 15
   */
  rawDeltaX?: number;
  /**
   * How far the mouse itself moved, in pixels.
   * @since 15
   */
  rawDeltaY?: number;
}

declare interface CommonMethod<T> {
  /**
   * Hears a wheel.
   * @since 17
   */
  onAxisEvent(event: (event: AxisEvent) => void): T;
}
