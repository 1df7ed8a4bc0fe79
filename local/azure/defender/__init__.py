"""Microsoft.Security: JIT policies, and Defender for Cloud at work on their requests."""
