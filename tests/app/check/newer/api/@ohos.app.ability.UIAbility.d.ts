
export default interface UIAbility {
  /**
   * Called before an ability ends.
   * @permission ohos.permission.PREPARE_APP_TERMINATE
   * @since 15
   */
  onPrepareToTerminateAsync(): Promise<AbilityConstant.PrepareTermination>;
}
