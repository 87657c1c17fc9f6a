"""What is measured, and the trees and catalogs that it is measured on."""
