package all

import _ "weir/internal/connect/sql" // sqlite, postgres, mysql, sqlserver
