import { notByTsc } from './not-by-tsc.ts';

notByTsc('acpi-pm', ['clocksource=acpi_pm'], 'acpi_pm');
