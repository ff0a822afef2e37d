package all

import _ "weir/internal/connect/servicebus"
