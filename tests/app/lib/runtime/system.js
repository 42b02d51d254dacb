// The system's colours and figures that pages use, light and dark.
import { env } from "./env.js";

const both = (value) => [value, value];
const COLORS = {
  brand: ["#0A59F7", "#317AF7"], warning: ["#E84026", "#D94838"], alert: ["#ED6F21", "#DB6B42"], confirm: ["#64BB5C", "#5BA854"],
  font_primary: ["#E5000000", "#E5FFFFFF"], font_secondary: ["#99000000", "#99FFFFFF"], font_tertiary: ["#66000000", "#66FFFFFF"],
  font_fourth: ["#33000000", "#33FFFFFF"], font_emphasize: ["#0A59F7", "#317AF7"], font_on_primary: both("#FFFFFF"),
  font_on_secondary: both("#99FFFFFF"), font_on_tertiary: both("#66FFFFFF"),
  icon_primary: ["#E5000000", "#E5FFFFFF"], icon_secondary: ["#99000000", "#99FFFFFF"], icon_tertiary: ["#66000000", "#66FFFFFF"],
  icon_fourth: ["#33000000", "#33FFFFFF"], icon_emphasize: ["#0A59F7", "#317AF7"], icon_on_primary: both("#FFFFFF"),
  background_primary: ["#FFFFFF", "#E5E5E5"], background_secondary: ["#F1F3F5", "#191A1C"], background_tertiary: ["#E5E5EA", "#202224"],
  background_fourth: ["#D1D1D6", "#2E3033"], background_emphasize: ["#0A59F7", "#317AF7"],
  comp_foreground_primary: ["#000000", "#E5E5E5"], comp_background_primary: ["#FFFFFF", "#202224"],
  comp_background_primary_contrary: ["#FFFFFF", "#E5E5E5"], comp_background_gray: ["#F1F3F5", "#E5E5EA"],
  comp_background_list_card: ["#FFFFFF", "#202224"], comp_background_secondary: ["#19000000", "#19FFFFFF"],
  comp_background_tertiary: ["#0C000000", "#19FFFFFF"], comp_background_emphasize: ["#0A59F7", "#317AF7"],
  comp_background_neutral: ["#000000", "#FFFFFF"], comp_background_focus: ["#F1F3F5", "#2E3033"],
  comp_emphasize_secondary: ["#330A59F7", "#33317AF7"], comp_emphasize_tertiary: ["#190A59F7", "#19317AF7"],
  comp_divider: ["#33000000", "#33FFFFFF"], comp_common_contrary: ["#FFFFFF", "#000000"],
  comp_focused_primary: ["#E5000000", "#E5FFFFFF"], comp_focused_secondary: ["#99000000", "#99FFFFFF"], comp_focused_tertiary: ["#66000000", "#66FFFFFF"],
  interactive_hover: ["#0C000000", "#0CFFFFFF"], interactive_pressed: ["#19000000", "#19FFFFFF"], interactive_focus: ["#0A59F7", "#317AF7"],
  interactive_active: ["#0A59F7", "#317AF7"], interactive_select: ["#33000000", "#33FFFFFF"], interactive_click: ["#19000000", "#19FFFFFF"],
  mask_primary: ["#66000000", "#66000000"], mask_secondary: ["#33000000", "#66000000"], mask_tertiary: ["#19000000", "#33000000"],
  mask_fourth: ["#0C000000", "#19000000"],
};
const FLOATS = {
  corner_radius_none: 0, corner_radius_level1: 2, corner_radius_level2: 4, corner_radius_level3: 6, corner_radius_level4: 8,
  corner_radius_level5: 10, corner_radius_level6: 12, corner_radius_level7: 14, corner_radius_level8: 16, corner_radius_level9: 18,
  corner_radius_level10: 20, corner_radius_level11: 22, corner_radius_level12: 24, corner_radius_level16: 32,
  padding_level0: 0, padding_level1: 2, padding_level2: 4, padding_level3: 6, padding_level4: 8, padding_level5: 10, padding_level6: 12,
  padding_level7: 14, padding_level8: 16, padding_level9: 18, padding_level10: 20, padding_level11: 22, padding_level12: 24,
};

export const systemColor = (name) => COLORS[name]?.[env.dark ? 1 : 0];
export const systemFloat = (name) => FLOATS[name];

/** As CSS variables, for what the preview draws itself. */
export const systemVariables = () => Object.keys(COLORS).map((name) => [`--${name}`, systemColor(name)]);
