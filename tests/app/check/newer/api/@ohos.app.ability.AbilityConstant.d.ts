
declare namespace AbilityConstant {
  /**
   * Whether an ability that is asked ends.
   * @since 15
   */
  enum PrepareTermination {
    TERMINATE_IMMEDIATELY = 0,
    CANCEL = 1
  }
}
