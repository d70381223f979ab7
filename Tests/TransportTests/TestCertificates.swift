/// A small authority of the tests, made with openssl, valid from 2020 to 2120: it protects nothing.
enum TestCertificates {
    /// The authority.
    static let authority = """
        -----BEGIN CERTIFICATE-----
        MIIBdjCCARugAwIBAgIBATAKBggqhkjOPQQDAjAhMR8wHQYDVQQDDBZWZWRldHRl
        IHRlc3QgYXV0aG9yaXR5MCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAxMDAwMDAw
        WjAhMR8wHQYDVQQDDBZWZWRldHRlIHRlc3QgYXV0aG9yaXR5MFkwEwYHKoZIzj0C
        AQYIKoZIzj0DAQcDQgAEdN0Ustorb97r/G8Prp+7mnMypoJlT2FcesjBjkdei6Rv
        diBgzFzWLJQMKpd+cJ+t4T9pCFrTPacFVadlHKNmBaNCMEAwDwYDVR0TAQH/BAUw
        AwEB/zAOBgNVHQ8BAf8EBAMCAQYwHQYDVR0OBBYEFLrV/jAWh3FKpiX8WOtTi86u
        N/a7MAoGCCqGSM49BAMCA0kAMEYCIQDDSAU5U+SHjzb4tLz9gax3TwA4j+Cm52Ux
        nG43Bx4xmwIhAI7zshiOYPSld0twMIrJIGKZNoGJBjOqi5zKjLTR4oRy
        -----END CERTIFICATE-----
        """

    /// A server's certificate for the name localhost.
    static let server = """
        -----BEGIN CERTIFICATE-----
        MIIBhjCCASygAwIBAgIBBDAKBggqhkjOPQQDAjAhMR8wHQYDVQQDDBZWZWRldHRl
        IHRlc3QgYXV0aG9yaXR5MCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAxMDAwMDAw
        WjARMQ8wDQYDVQQDDAZzZXJ2ZXIwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQs
        MGIp5A81WqW9CEpW2WAr6cCNbNo+fd4iPrU5XvTgcOjbiUsmY1I/uhsqc3ULRAz+
        T/cNB0gZYBCdZZAERxkZo2MwYTAJBgNVHRMEAjAAMBQGA1UdEQQNMAuCCWxvY2Fs
        aG9zdDAdBgNVHQ4EFgQU9Dkz2bx6EKeoXdgEXxoa41gDwEQwHwYDVR0jBBgwFoAU
        utX+MBaHcUqmJfxY61OLzq439rswCgYIKoZIzj0EAwIDSAAwRQIhALH+P5izMCEJ
        R58ykuHgeovGxvW2qICALBdiqKon2LLPAiBdNt9Eb6l5LZI5BoGWKyWLqyT1uSMV
        YAZNsNNowZuakA==
        -----END CERTIFICATE-----
        """

    /// Its key.
    static let serverKey = """
        -----BEGIN EC PRIVATE KEY-----
        MHcCAQEEIP0L1JgNNbVKlL1PxhJFAvZNSmcXGVEaIQmEHBX4+OPAoAoGCCqGSM49
        AwEHoUQDQgAELDBiKeQPNVqlvQhKVtlgK+nAjWzaPn3eIj61OV704HDo24lLJmNS
        P7obKnN1C0QM/k/3DQdIGWAQnWWQBEcZGQ==
        -----END EC PRIVATE KEY-----
        """

    /// A client's certificate.
    static let client = """
        -----BEGIN CERTIFICATE-----
        MIIBhjCCASygAwIBAgIBBTAKBggqhkjOPQQDAjAhMR8wHQYDVQQDDBZWZWRldHRl
        IHRlc3QgYXV0aG9yaXR5MCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAxMDAwMDAw
        WjARMQ8wDQYDVQQDDAZjbGllbnQwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATM
        DsqXIL9BqizROv7mbTVdT6DZDcLdcjCJ1hHIXPENFxINMclkxhuipHfdqp0/vth3
        BLhEosg3ypPjgYKSdABBo2MwYTAJBgNVHRMEAjAAMBQGA1UdEQQNMAuCCWxvY2Fs
        aG9zdDAdBgNVHQ4EFgQUbgPYNEhEQlaW4qfgJUbW2WTsY3UwHwYDVR0jBBgwFoAU
        utX+MBaHcUqmJfxY61OLzq439rswCgYIKoZIzj0EAwIDSAAwRQIgMwmtwWAzTwB5
        xqFdu/3PuxWWgos6YHo23mL2puSFzm0CIQDSRYBkdv22BU0pb34KwjLBETN23qGA
        FrDc3wtuhNAZCw==
        -----END CERTIFICATE-----
        """

    /// Its key.
    static let clientKey = """
        -----BEGIN EC PRIVATE KEY-----
        MHcCAQEEIN2/H1SHEZzg18bLvRg1JQbY2V+S7P98MYnk8bXxYV6coAoGCCqGSM49
        AwEHoUQDQgAEzA7KlyC/Qaos0Tr+5m01XU+g2Q3C3XIwidYRyFzxDRcSDTHJZMYb
        oqR33aqdP77YdwS4RKLIN8qT44GCknQAQQ==
        -----END EC PRIVATE KEY-----
        """
}
