
declare namespace window {
  enum MaximizePresentation {
    /**
     * All of a PC's display; the title and the dock do not come at its edges.
     * @since 14
     */
    ENTER_IMMERSIVE_DISABLE_TITLE_AND_DOCK_HOVER = 3
  }
}
