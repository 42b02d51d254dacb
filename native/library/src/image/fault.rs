//! What is wrong with the header of an image, and what it asks for that is not known here.

use sampan_message::reasons;

reasons! {
    /// What is wrong with an image whose format is known.
    #[non_exhaustive]
    pub enum ImageFault {
        NoQcow2Signature => "no_qcow2_signature", "it does not begin with QFI\\xfb";
        ClusterBits { bits: u32 = 40 } => "bad_cluster_size", "clusters of 2^{bits} bytes; 2^9 to 2^21 are possible";
        EndsInHeader => "ends_in_header", "it ends within its header";
        HeaderLength { bytes: usize = 7 } => "bad_header_length", "a header of {bytes} bytes";
        CompressionContradicts => "compression_contradicts", "its compression contradicts its features";
        SmallSubclusters => "small_subclusters", "subclusters in clusters of less than 16 KiB";
        EncryptionMethod { method: u32 = 7 } => "bad_encryption_method", "encryption method {method}";
        RefcountBits { order: u32 = 9 } => "bad_refcount_size", "reference counts of 2^{order} bits";
        EncryptionHeader => "stray_encryption_header", "the header of an encryption that it does not have";
        RawDataFile => "stray_data_file", "a raw data file that it does not have";
        RefcountTable { clusters: u64 = 9, at: u64 = 7 } => "bad_refcount_table", "a table of reference counts of {clusters} clusters at {at}";
        L1Table { entries: u64 = 9, at: u64 = 7, bytes: u64 = 1 << 30 } => "bad_l1_table", "an L1 table of {entries} entries at {at} for {bytes} bytes";
        SnapshotTable => "bad_snapshot_table", "its table of snapshots is no such table";
        SnapshotTableSize => "snapshot_table_too_large", "its table of snapshots is too large";
        BaseNameLength { bytes: usize = 4000 } => "base_name_too_long", "the name of its base has {bytes} bytes, at most 1023 are possible";
        BaseNameBeyond => "base_name_beyond", "the name of its base lies beyond the first cluster";
        ExtensionBeyond => "header_extension_beyond", "a header extension lies beyond the first cluster";
        BaseFormatLength => "base_format_too_long", "the name of its base's format is too long";
        BitmapExtension => "bad_bitmap_extension", "its extension for bitmaps has no 24 bytes";
        Extensions { most: usize = 256 } => "too_many_header_extensions", "more than {most} header extensions";
        Signature => "bad_signature", "its signature is wrong";
        Blocks { bytes: u64 = 1 << 30, blocks: u32 = 7 } => "size_beyond_blocks", "{bytes} bytes do not fit into {blocks} blocks";
        Places { map: u32 = 7, data: u32 = 9 } => "bad_places", "a block map at {map} and data at {data}; both start sectors of 512 bytes";
        EndsInMap => "ends_in_block_map", "it ends before its block map does: the file is not complete";
        NoDescriptorEnd => "no_descriptor_end", "its descriptor has no end";
        NoExtent => "no_extent", "its descriptor names no extent";
        NoVmdkSignature => "no_vmdk_signature", "it begins neither with KDMV nor with a descriptor";
        NoCapacity => "no_capacity", "a capacity of 0 sectors: its data would be in files that it names";
        NotEndingWithFooter => "not_ending_with_footer", "it does not end with a footer";
        FooterMissing => "footer_missing", "its footer is missing: the file is not complete";
        FooterSize => "footer_contradicts", "its footer names another size than its header";
        DescriptorLength { sectors: u64 = 4000 } => "descriptor_too_long", "a descriptor of {sectors} sectors";
        NoContentIds => "no_content_ids", "its descriptor has no content identifiers (CID, parentCID)";
        GrainSize { sectors: u64 = 7 } => "bad_grain_size", "grains of {sectors} sectors";
        GrainTable { entries: u64 = 9999 } => "bad_grain_table", "grain tables of {entries} entries";
        GrainDirectory { entries: u64 = 1 << 40 } => "grain_directory_too_large", "a grain directory of {entries} entries";
        EndsBeforeGrains => "ends_before_grains", "it ends before its grain directory or its data: the file is not complete";
        ExtentWithoutSize => "extent_without_size", "an extent without a size";
        Extents => "too_many_extents", "more than 256 extents";
        Sectors { sectors: u64 = 1 << 60 } => "too_many_sectors", "{sectors} sectors";
        LogPlace { at: u64 = 7 } => "bad_log_place", "a log at {at}";
        BlockSize { bytes: u64 = 7 } => "bad_block_size", "blocks of {bytes} bytes";
        HeadersContradict => "headers_contradict", "its two headers contradict each other";
        NoHeader => "no_valid_header", "neither of its headers is valid";
        RegionNowhere => "region_nowhere", "a region of it lies nowhere";
        RegionTable => "bad_region_table", "its region table is not valid";
        Regions { count: usize = 4000 } => "too_many_regions", "{count} regions";
        RegionsOverlap => "regions_overlap", "its regions overlap";
        RegionTwice => "region_twice", "a region of it is there twice";
        NoMetadata => "no_metadata", "it has no region of metadata";
        NoBlockTable => "no_block_table", "it has no block allocation table";
        BlockTableSize { bytes: u64 = 1 << 40 } => "block_table_too_small", "{bytes} bytes do not fit into its block allocation table";
        BlockBeyondEnd => "block_beyond_end", "a block lies beyond its end: the file is not complete";
        BlockInMetadata => "block_in_metadata", "a block lies in its metadata";
        NoMetadataTable => "no_metadata_table", "it has no table of metadata";
        MetadataEntries { count: usize = 4000 } => "too_much_metadata", "{count} entries of metadata";
        MetadataTwice => "metadata_twice", "an entry of its metadata is there twice";
        MetadataMissing => "metadata_missing", "an entry of its metadata is missing";
        MetadataNowhere => "metadata_nowhere", "an entry of its metadata lies nowhere";
        NoFooter => "no_footer", "it has no footer";
        FooterChecksum => "bad_footer_checksum", "the checksum of its footer is wrong";
        FooterNotLast => "footer_not_last", "its footer is not its last sector";
        EndsBefore { bytes: u64 = 1 << 30 } => "ends_before_size", "it ends before its {bytes} bytes";
        SecondHeader => "bad_second_header", "its second header is wrong";
        FixedWithFooterInFront => "footer_in_front", "it begins with a footer, as no fixed disk does";
        NoFooterCopy => "no_footer_copy", "the copy of its footer in front is missing";
        NoWholeSectors { bytes: u64 = 777 } => "no_whole_sectors", "a size of {bytes} bytes, which are no whole sectors";
        BlockTable { entries: u32 = u32::MAX } => "bad_block_table", "a table of {entries} blocks";
        TableBeyondEnd => "table_beyond_end", "its table leads beyond its end: the file is not complete";
        TablesInTables => "tables_in_tables", "its tables lie one in another";
    }
}

reasons! {
    /// What an image uses that is not supported.
    #[non_exhaustive]
    pub enum ImageFeature {
        Version { version: u32 = 9 } => "version", "version {version}";
        VersionOfTwo { version: u32 = 2, minor: u32 = 0 } => "version_of_two", "version {version}.{minor}";
        Bits { bits: String = "0x20".into() } => "feature_bits", "features of a later version (bits {bits})";
        UnknownCompression => "unknown_compression", "an unknown compression";
        Bitmaps => "dirty_bitmaps", "dirty bitmaps of a backup program (qemu-img bitmap --remove takes them away)";
        Blocks { bytes: u32 = 512 } => "block_size", "blocks of {bytes} bytes";
        ImageType { kind: u32 = 7 } => "image_type", "the image type {kind}";
        DescriptorPlace { sector: u64 = 9 } => "descriptor_place", "a descriptor at sector {sector} instead of 1";
        Compression { method: u16 = 7 } => "compression", "compression {method}";
        LogVersion { version: u16 = 9 } => "log_version", "version {version} of the log";
        SectorSize { bytes: u32 = 4096 } => "sector_size", "sectors of {bytes} bytes";
        Region => "later_region", "a region of a later version";
        Metadata => "later_metadata", "metadata of a later version";
        DiskType { kind: u32 = 7 } => "disk_type", "the disk type {kind}";
    }
}

#[cfg(test)]
mod tests {
    use super::{ImageFault, ImageFeature};
    use sampan_message::are_distinct;

    #[test]
    fn every_fault_has_a_code_of_its_own() {
        assert!(are_distinct::<ImageFault>() && are_distinct::<ImageFeature>());
    }
}
