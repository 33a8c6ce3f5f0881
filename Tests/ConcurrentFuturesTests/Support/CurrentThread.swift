import CPlatformSupport

/// Tells threads apart.
func currentThread() -> UInt { UInt(bitPattern: cf_thread()) }
