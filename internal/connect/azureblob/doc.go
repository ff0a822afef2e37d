// Package azureblob reads and writes blobs of Azure Blob Storage and Data Lake Storage Gen2. What
// stores of objects share is in package objects, and files that are finished in package files.
package azureblob
