declare const native: { look(): Promise<string> };
export default native;
