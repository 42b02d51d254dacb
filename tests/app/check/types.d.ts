// Types of the project's files that are published nowhere. What the app does not use is left out.

type StringRef = `$string:${string}`;
type MediaRef = `$media:${string}`;

export interface AppJson5 {
  app: {
    bundleName: string;
    vendor?: string;
    versionCode: number;
    versionName: string;
    minCompatibleVersionCode?: number;
    icon: MediaRef;
    label: StringRef;
  };
}

export interface HvigorConfig {
  modelVersion: string;
  dependencies: Record<string, string>;
  execution?: Record<string, boolean | string | number>;
  logging?: { level: 'debug' | 'info' | 'warn' | 'error' };
  nodeOptions?: { maxOldSpaceSize?: number };
}

interface Package {
  name: string;
  version: string;
  description: string;
  license?: string;
  author?: string;
}

export interface ProjectPackage extends Package {
  modelVersion: string;
  dependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
}

export interface ModulePackage extends Package {
  main: string;
  /** The types of the native module are a package beside the module. */
  dependencies: { 'libsampan.so': 'file:./types/libsampan' };
}

export interface TypesPackage extends Package {
  name: 'libsampan.so';
  types: './Index.d.ts';
}

export interface MainPages {
  src: `pages/${string}`[];
}

/** Four are shown at most. */
export interface Shortcuts {
  shortcuts: {
    shortcutId: string;
    label: StringRef;
    icon: MediaRef;
    wants: { bundleName: string; moduleName: string; abilityName: string; parameters?: Record<string, string> }[];
  }[];
}

type Dimension = '1*2' | '2*2' | '2*4' | '4*4' | '6*4' | '1*1' | '2*3';

export interface FormConfig {
  forms: {
    name: string;
    displayName: StringRef;
    description?: StringRef;
    src: `./ets/${string}.ets`;
    uiSyntax: 'arkts';
    window: { designWidth: number; autoDesignWidth: boolean };
    colorMode: 'auto' | 'dark' | 'light';
    isDynamic?: boolean;
    isDefault: boolean;
    updateEnabled: boolean;
    scheduledUpdateTime?: string;
    updateDuration?: number;
    defaultDimension: Dimension;
    supportDimensions: Dimension[];
    formConfigAbility?: `ability://${string}`;
  }[];
}

export interface BackupConfig {
  allowToBackupRestore: boolean;
  includes?: `/data/storage/el${1 | 2}/${string}`[];
  excludes?: `/data/storage/el${1 | 2}/${string}`[];
  fullBackupOnly?: boolean;
  restoreDeps?: string;
}

type Quantity = 'zero' | 'one' | 'two' | 'few' | 'many' | 'other';

/** A file in a folder `element`. */
export interface Elements {
  string?: { name: string; value: string }[];
  plural?: { name: string; value: { quantity: Quantity; value: string }[] }[];
  strarray?: { name: string; value: { value: string }[] }[];
  color?: { name: string; value: `#${string}` | `$color:${string}` }[];
  float?: { name: string; value: string }[];
  boolean?: { name: string; value: boolean }[];
  integer?: { name: string; value: number }[];
}
