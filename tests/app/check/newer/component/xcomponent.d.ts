
/**
 * How a surface is shown.
 * @since 22
 */
declare interface SurfaceConfig {
  /**
   * Whether what lies behind it never shines through.
   * @since 22
   */
  isOpaque?: boolean;
}

declare interface XComponentController {
  /**
   * Says how the surface is shown.
   * @since 22
   */
  setXComponentSurfaceConfig(config: SurfaceConfig): void;
}
