
declare namespace window {
  enum MaximizePresentation {
    /**
     * All of a PC's display; the title and the dock do not come at its edges.
     * @since 14
     */
    ENTER_IMMERSIVE_DISABLE_TITLE_AND_DOCK_HOVER = 3
  }

  interface WindowStage {
    /**
     * Whether the main window comes back where it was.
     * @since 14
     */
    setWindowRectAutoSave(enabled: boolean): Promise<void>;
    /**
     * The same for each key of an ability of which there are several.
     * @since 17
     */
    setWindowRectAutoSave(enabled: boolean, isSaveBySpecifiedFlag: boolean): Promise<void>;
  }
}
