package all

import _ "weir/internal/connect/s3"
