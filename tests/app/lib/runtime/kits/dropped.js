// What is dropped on a component, as `unifiedDataChannel` has it.

export class UnifiedRecord {}

export class DroppedFile extends UnifiedRecord {
  constructor(uri) {
    super();
    this.uri = uri;
  }
}
